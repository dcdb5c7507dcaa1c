# Tells k3s which cluster it joins: a file that only root reads, beside those of the operator.
take_turn
mkdir -p "${path%/*}" || die "making ${path%/*} failed"
write "$path" 600 "$text"
