main() {
    take_turn
    start
}
main
