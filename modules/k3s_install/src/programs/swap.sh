# Puts the staged binary in the old one's place. The name of the staged file holds the sum it was verified with.
take_turn
sum=$(sha256sum <"$staged") || die "$staged is gone: run this again"
case $staged in
*".${sum%% *}.staged") ;;
*)
    rm -f "$staged"
    die "$staged is not what was verified when it was downloaded; it was removed: run this again"
    ;;
esac
mv -f "$staged" "$binary" || die "putting the new binary in place failed"
settle "$bin_dir"
# Where there is SELinux, the policy knows the path, not the file.
! command -v restorecon >/dev/null 2>&1 || restorecon "$binary" 2>/dev/null
exit 0
