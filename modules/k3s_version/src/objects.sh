# The objects, one a line, of those definitions that belong to a release of Helm, but for what a release beside it has
# made of them: Helm makes that anew itself. A definition that Helm is to keep stays, and its objects with it.
# Only a server may read them. Nothing is written.
binary=$1 seconds=$2 release=$3 beside=$4
shift 4
kubeconfig=/etc/rancher/k3s/k3s.yaml
[ -e "$kubeconfig" ] || exit 0
get() { "$binary" kubectl --kubeconfig "$kubeconfig" --request-timeout "${seconds}s" get "$@"; }
of='{.metadata.annotations.meta\.helm\.sh/release-namespace}/{.metadata.annotations.meta\.helm\.sh/release-name}'

definitions=$(get customresourcedefinitions "$@" --ignore-not-found \
    -o jsonpath="{range .items[*]}{.metadata.name} $of {.metadata.annotations.helm\.sh/resource-policy}{'\n'}{end}") || exit
kinds=$(printf '%s\n' "$definitions" | sed -n -e '/ keep$/d' -e "s,^\([a-z.]*\) kube-system/$release *\$,\1,p" | tr '\n' ',')
[ -n "$kinds" ] || exit 0
objects=$(get "${kinds%,}" --all-namespaces \
    -o jsonpath="{range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name} $of{'\n'}{end}") || exit
printf '%s\n' "$objects" | sed -n -e "\,kube-system/$beside\$,d" -e 's,^\([^ ][^ ]* [^ ][^ ]*\) .*$,\1,p'
