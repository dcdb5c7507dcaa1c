//! `lab/README.md` names these tests, row by row.

use std::fs;
use std::path::Path;

const SECTION: &str = "## pct: the contract, row by row";
const FILES: [&str; 9] = [
    "in_lab.rs",
    "in_lab/product.rs",
    "pct.rs",
    "pct/verbs.rs",
    "product.rs",
    "product/processes.rs",
    "product/running.rs",
    "product/snapshots.rs",
    "product/starting.rs",
];

#[test]
fn every_test_that_the_table_names_is_there() {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| fs::read_to_string(lab.join(file)).unwrap();
    let tests: String = FILES.iter().map(|file| read(&format!("tests/{file}"))).collect();
    let readme = read("README.md");
    let section = readme
        .split(SECTION)
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).collect();
    assert!(rows.len() > 25, "{rows:?}");
    for row in rows {
        let cells: Vec<&str> = row.split('|').skip(2).collect();
        let words = cells.iter().flat_map(|cell| cell.split('`').skip(1).step_by(2));
        for word in words.filter(|word| word.matches('_').count() > 1) {
            let name = word.rsplit("::").next().unwrap();
            let there = match name.strip_suffix('…') {
                Some(beginning) => tests.contains(&format!("fn {beginning}")),
                None => tests.contains(&format!("fn {name}()")),
            };
            assert!(there, "there is no test {word}: {row}");
        }
    }
}
