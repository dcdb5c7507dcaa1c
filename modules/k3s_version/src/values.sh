# The HelmChartConfig of one of k3s's own charts, where its values have the one key and not the other.
# Only a server may read it. Nothing is written, and no value is printed.
binary=$1 seconds=$2 chart=$3 key=$4 unless=$5
kubeconfig=/etc/rancher/k3s/k3s.yaml
[ -e "$kubeconfig" ] || exit 0
get() { "$binary" kubectl --kubeconfig "$kubeconfig" --request-timeout "${seconds}s" get "$@" --ignore-not-found; }

# Without the controller of charts there is no such kind.
kind=$(get customresourcedefinitions helmchartconfigs.helm.cattle.io -o name) || exit
[ -n "$kind" ] || exit 0
values=$(get helmchartconfigs.helm.cattle.io "$chart" --namespace kube-system -o jsonpath='{.spec.valuesContent}') || exit
has() { printf '%s\n' "$values" | sed 's/^[[:space:]]*#.*//' | grep -Eq "(^|[[:space:]\"'{,])$1[\"']?[[:space:]]*:"; }
if has "$key" && ! has "$unless"; then printf 'HelmChartConfig kube-system/%s\n' "$chart"; fi
