//! Renewing the certificates of a node.
