//! Lines that somebody can copy into an inventory, in the form that it has.

use crate::params::Form;

pub(crate) fn children(form: Form, group: &str, children: &[&str]) -> String {
    match form {
        Form::Ini => format!("[{group}:children]\n{}", children.join("\n")),
        Form::Yaml => {
            let named: Vec<String> = children.iter().map(|child| format!("    {child}:")).collect();
            format!("{group}:\n  children:\n{}", named.join("\n"))
        }
        Form::Script => format!("\"{group}\": {{\"children\": {}}}", list(children)),
    }
}

/// A group with one host in it, and a variable of that host.
pub(crate) fn group(form: Form, group: &str, host: &str, variable: &str, value: &str) -> String {
    match form {
        Form::Ini => format!("[{group}]\n{host} {variable}={value}"),
        Form::Yaml => format!("{group}:\n  hosts:\n    {host}:\n      {variable}: {value}"),
        Form::Script => format!(
            "\"{group}\": {{\"hosts\": {}}}, and for {host} {}",
            list(&[host]),
            host_variable(form, host, variable, value)
        ),
    }
}

pub(crate) fn host_variable(form: Form, host: &str, variable: &str, value: &str) -> String {
    match form {
        Form::Ini => format!("{host} {variable}={value}"),
        Form::Yaml => format!("{host}:\n  {variable}: {value}"),
        Form::Script => {
            format!("\"_meta\": {{\"hostvars\": {{\"{host}\": {{\"{variable}\": \"{value}\"}}}}}}")
        }
    }
}

/// The advice as further lines of a fault.
pub(crate) fn write(lines: &str) -> String {
    let indented: Vec<String> = lines.lines().map(|line| format!("    {line}")).collect();
    format!("Write:\n{}", indented.join("\n"))
}

fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    format!("[{}]", quoted.join(", "))
}
