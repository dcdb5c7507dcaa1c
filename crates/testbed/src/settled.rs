//! What holds of every module whose second run changes nothing, on a world that a run really changes.

use serde_json::{Value, json};
use std::fmt::Debug;

/// Runs a module in check mode, then for real, then once more with the same options. `run` takes whether it is check
/// mode; `world` is all that a run may change. Whatever the options are, check mode touches nothing and says what the run
/// will report, `changed` is whether the world is another one afterwards, and the second run finds nothing to do. Where the
/// first is refused, nothing was touched. Returns its answer.
pub fn assert_settles<W: PartialEq + Debug>(
    case: &str,
    run: impl Fn(bool) -> Value,
    world: impl Fn() -> W,
) -> Value {
    let before = world();
    let planned = run(true);
    assert_eq!(world(), before, "{case}: check mode has changed it: {planned:#}");
    let first = run(false);
    assert_eq!(
        (&first["failed"], &first["changed"]),
        (&planned["failed"], &planned["changed"]),
        "{case}: check mode said {planned:#}, and the run {first:#}"
    );
    let after = world();
    assert_eq!(
        after != before,
        first["changed"] == true,
        "{case}: changed is not what was done: {first:#}"
    );
    if first["failed"] == false {
        let second = run(false);
        assert_eq!(
            (&second["failed"], &second["changed"], &second["actions"]),
            (&json!(false), &json!(false), &json!([])),
            "{case}: the second run: {second:#}"
        );
        assert_eq!(
            world(),
            after,
            "{case}: the second run has changed it: {second:#}"
        );
    }
    first
}
