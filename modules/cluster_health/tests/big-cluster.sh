#!/bin/sh
# A kubectl of a big cluster: 500 nodes, 10 000 pods in 20 pages (one of ten crashes), 500 of each kind of workload.
# What the API server fills its objects with beside what counts (managed fields, specs, images) is there by its weight.
# A page is made once and kept beside this program.
here=${0%/*}
for path do :; done

# make KIND WEIGHT: 500 items of a kind, each with so many bytes that nobody reads
make() {
    [ -f "$here/$1" ] || awk -v kind="$1" -v weight="$2" '
    function condition(type, status) {
        return sprintf("{\"type\":\"%s\",\"status\":\"%s\",\"lastHeartbeatTime\":\"2026-01-01T00:00:00Z\",\"lastTransitionTime\":\"2025-12-31T00:00:00Z\",\"reason\":\"Because\",\"message\":\"it is so\"}", type, status)
    }
    BEGIN {
        ballast = "\"f:status\":{},"
        while (length(ballast) < weight) ballast = ballast ballast
        ballast = "\"managedFields\":[{\"manager\":\"k3s\",\"fieldsV1\":{" substr(ballast, 1, 14 * int(weight / 14)) "\"f:spec\":{}}}]"
        for (i = 0; i < 500; i++) {
            if (i) printf ","
            printf "{\"metadata\":{\"name\":\"%s-%d\",\"namespace\":\"space-%d\",\"creationTimestamp\":\"2025-12-30T00:00:00Z\",%s", kind == "leases" ? "nodes" : kind, i, i % 20, ballast
            if (kind == "pods") {
                printf ",\"labels\":{\"app\":\"web-%d\",\"pod-template-hash\":\"5448b494b7\"},\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":\"web-%d-5448b494b7\",\"controller\":true}]}", i, i
                state = i % 10 ? "\"running\":{\"startedAt\":\"2025-12-31T00:00:00Z\"}" : "\"waiting\":{\"reason\":\"CrashLoopBackOff\",\"message\":\"back-off 5m0s restarting failed container\"}"
                printf ",\"spec\":{\"nodeName\":\"nodes-%d\",\"restartPolicy\":\"Always\"},\"status\":{\"phase\":\"Running\",\"conditions\":[%s,%s]", i, condition("PodScheduled", "True"), condition("Ready", i % 10 ? "True" : "False")
                printf ",\"containerStatuses\":[{\"name\":\"app\",\"restartCount\":7,\"state\":{%s},\"lastState\":{}}]}}", state
            } else if (kind == "nodes") {
                printf ",\"labels\":{\"kubernetes.io/hostname\":\"nodes-%d\"}},\"spec\":{},\"status\":{\"conditions\":[%s,%s,%s],\"nodeInfo\":{\"kubeletVersion\":\"v1.31.4+k3s1\"}}}", i, condition("MemoryPressure", "False"), condition("DiskPressure", "False"), condition("Ready", "True")
            } else if (kind == "leases") {
                printf "},\"spec\":{\"renewTime\":\"2099-01-01T00:00:00.000000Z\",\"leaseDurationSeconds\":40}}"
            } else {
                printf "},\"spec\":{\"replicas\":1},\"status\":{\"readyReplicas\":1,\"availableReplicas\":1,\"conditions\":[%s]}}", condition("Available", "True")
            }
        }
    }' >"$here/$1.part"
    [ -f "$here/$1" ] || mv "$here/$1.part" "$here/$1"
}

# list KIND WEIGHT TOKEN: a page, and the token of the next one
list() {
    make "$1" "$2"
    printf '{"kind":"List","items":['
    cat "$here/$1"
    printf '],"metadata":{"resourceVersion":"1","continue":"%s"}}\n' "$3"
}

case $path in
*/readyz*) printf '[+]ping ok\nreadyz check passed\n' ;;
*/version) echo '{"gitVersion":"v1.31.4+k3s1"}' ;;
*/apis) echo '{"groups":[]}' ;;
*/nodes*) list nodes 12000 '' ;;
*/leases*) list leases 300 '' ;;
*/pods\?limit=500) list pods 7000 1 ;;
*/pods*continue=19) list pods 7000 '' ;;
*/pods*continue=*) list pods 7000 $((${path##*=} + 1)) ;;
*/deployments*) list deployments 4000 '' ;;
*/statefulsets*) list statefulsets 4000 '' ;;
*/daemonsets*) list daemonsets 4000 '' ;;
*/jobs*) list jobs 4000 '' ;;
*) echo "unexpected: $*" >&2 && exit 1 ;;
esac
