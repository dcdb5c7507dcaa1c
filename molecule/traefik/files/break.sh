#!/bin/sh
# Removes Helm's ownership from Traefik's CRDs and IngressClass, and its releases, so that both Jobs fail.
# Requires `LAB`, the program. A real Helm reports in the log, the stand-in's in the pod's status.
set -eu
k="$LAB kubectl"
system="-n kube-system"
status='jsonpath={.items[*].metadata.labels.status}'
said='jsonpath={.items[*].status.containerStatuses[0].lastState.terminated.message}'

wait_for() {
  what=$1 left=900
  shift
  until "$@"; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || { echo "$what did not come true" >&2; exit 1; }
    sleep 0.2
  done
}
is_deployed() { case $($k get secrets $system -l "owner=helm,name=$1" -o "$status") in *deployed) ;; *) return 1 ;; esac; }
is_complete() { [ "$($k get job $system "helm-install-$1" -o 'jsonpath={.status.succeeded}')" = 1 ]; }
words() { $k get pods $system -l "job-name=helm-install-$1" -o "$said"; $k logs $system -l "job-name=helm-install-$1" 2>/dev/null || true; }
has_failed() { case $(words "$1") in *"invalid ownership metadata"*) ;; *) return 1 ;; esac; }

for chart in traefik-crd traefik; do
  wait_for "the release $chart" is_deployed "$chart"
  wait_for "the Job of $chart" is_complete "$chart"
done
definitions=$($k get crd -o name | grep -F traefik)
class=$($k get ingressclass -o name | grep -F traefik)
for object in $definitions $class; do
  $k label "$object" app.kubernetes.io/managed-by-
  $k annotate "$object" meta.helm.sh/release-name- meta.helm.sh/release-namespace-
done
for chart in traefik-crd traefik; do
  $k delete secrets $system -l "owner=helm,name=$chart"
done
$k delete jobs $system helm-install-traefik helm-install-traefik-crd
for chart in traefik-crd traefik; do
  wait_for "the failure of $chart" has_failed "$chart"
done
