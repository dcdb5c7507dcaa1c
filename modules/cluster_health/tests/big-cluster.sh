#!/bin/sh
# A kubectl of a big cluster: NODES nodes (500), 20 pods for each (one of ten crashes), as many of each kind of workload as nodes.
# What the API server fills its objects with beside what counts (managed fields, specs, images) is there by its weight.
# A page is made once and kept beside this program; an @ in it stands for the number of its nodes' page. CALLS names a file that
# gets a line for each request.
here=${0%/*}
for path do :; done
nodes=${NODES:-500}
[ -z "${CALLS:-}" ] || echo "$path" >>"$CALLS"

# make KIND WEIGHT ITEMS: a page of a kind, each item with so many bytes that nobody reads
make() {
    [ -f "$here/$1" ] || awk -v kind="$1" -v weight="$2" -v items="$3" -v nodes="$page_of_nodes" '
    function condition(type, status) {
        return sprintf("{\"type\":\"%s\",\"status\":\"%s\",\"lastHeartbeatTime\":\"2026-01-01T00:00:00Z\",\"lastTransitionTime\":\"2025-12-31T00:00:00Z\",\"reason\":\"Because\",\"message\":\"it is so\"}", type, status)
    }
    BEGIN {
        ballast = "\"f:status\":{},"
        while (length(ballast) < weight) ballast = ballast ballast
        ballast = "\"managedFields\":[{\"manager\":\"k3s\",\"fieldsV1\":{" substr(ballast, 1, 14 * int(weight / 14)) "\"f:spec\":{}}}]"
        for (i = 0; i < items; i++) {
            if (i) printf ","
            printf "{\"metadata\":{\"name\":\"%s-@%03d\",\"namespace\":\"space-%d\",\"creationTimestamp\":\"2025-12-30T00:00:00Z\",%s", kind == "leases" ? "nodes" : kind, i, i % 20, ballast
            if (kind == "pods") {
                printf ",\"labels\":{\"app\":\"web-@%d\",\"pod-template-hash\":\"5448b494b7\"},\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":\"web-@%d-5448b494b7\",\"controller\":true}]}", i, i
                state = i % 10 ? "\"running\":{\"startedAt\":\"2025-12-31T00:00:00Z\"}" : "\"waiting\":{\"reason\":\"CrashLoopBackOff\",\"message\":\"back-off 5m0s restarting failed container\"}"
                printf ",\"spec\":{\"nodeName\":\"nodes-@%03d\",\"restartPolicy\":\"Always\"},\"status\":{\"phase\":\"Running\",\"conditions\":[%s,%s]", i % nodes, condition("PodScheduled", "True"), condition("Ready", i % 10 ? "True" : "False")
                printf ",\"containerStatuses\":[{\"name\":\"app\",\"restartCount\":7,\"state\":{%s},\"lastState\":{}}]}}", state
            } else if (kind == "nodes") {
                printf ",\"labels\":{\"kubernetes.io/hostname\":\"nodes-@%03d\"}},\"spec\":{},\"status\":{\"conditions\":[%s,%s,%s],\"nodeInfo\":{\"kubeletVersion\":\"v1.31.4+k3s1\"}}}", i, condition("MemoryPressure", "False"), condition("DiskPressure", "False"), condition("Ready", "True")
            } else if (kind == "leases") {
                printf "},\"spec\":{\"renewTime\":\"2099-01-01T00:00:00.000000Z\",\"leaseDurationSeconds\":40}}"
            } else {
                printf "},\"spec\":{\"replicas\":1},\"status\":{\"readyReplicas\":1,\"availableReplicas\":1,\"conditions\":[%s]}}", condition("Available", "True")
            }
        }
    }' >"$here/$1.part"
    [ -f "$here/$1" ] || mv "$here/$1.part" "$here/$1"
}

# list KIND WEIGHT COUNT: the page that is asked for, and the token of the next one
list() {
    case $path in
    *continue=*) page=${path##*=} ;;
    *) page=0 ;;
    esac
    items=$(($3 < 500 ? $3 : 500))
    pages=$((($3 + items - 1) / items))
    make "$1" "$2" "$items"
    printf '{"kind":"List","items":['
    LC_ALL=C sed "s/@/$((page % pages_of_nodes))/g" "$here/$1"
    printf '],"metadata":{"resourceVersion":"1","continue":"%s"}}\n' "$([ $((page + 1)) -eq $pages ] || echo $((page + 1)))"
}

page_of_nodes=$((nodes < 500 ? nodes : 500))
pages_of_nodes=$((nodes / page_of_nodes))
case $path in
*/readyz*) printf '[+]ping ok\nreadyz check passed\n' ;;
*/version) echo '{"gitVersion":"v1.31.4+k3s1"}' ;;
*/apis) echo '{"groups":[]}' ;;
*/nodes*) list nodes 12000 "$nodes" ;;
*/leases*) list leases 300 "$nodes" ;;
*/pods*) list pods 7000 $((nodes * 20)) ;;
*/deployments*) list deployments 4000 "$nodes" ;;
*/statefulsets*) list statefulsets 4000 "$nodes" ;;
*/daemonsets*) list daemonsets 4000 "$nodes" ;;
*/jobs*) list jobs 4000 "$nodes" ;;
*) echo "unexpected: $*" >&2 && exit 1 ;;
esac
