main() {
    take_turn
    begin
    systemctl reset-failed "$unit" 2>/dev/null
    systemctl restart --no-block "$unit" 9>&-
}
main
