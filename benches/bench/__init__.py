# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The benches: each part is one module with `measure`; the others are what the parts share, and the page."""

from __future__ import annotations

from bench import a_tasks, b_starts, c_drains, d_upgrades, e_clusters, f_nodes, g_availability

# By the letter that --only has for it, in the order of the page.
MODULES = (a_tasks, b_starts, c_drains, d_upgrades, e_clusters, f_nodes, g_availability)
PARTS = {module.__name__.rsplit(".", 1)[-1][0]: module for module in MODULES}
