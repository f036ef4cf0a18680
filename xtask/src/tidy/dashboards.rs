//! The rule that dashboards follow what Grafana recommends, so that they work for any job, range and scrape interval.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Finding, TextFile};

pub(super) fn check(files: &[TextFile]) -> Vec<Finding> {
    let dashboards =
        files.iter().filter(|file| file.path.starts_with(FOLDER) && file.path.ends_with(".json"));
    dashboards
        .flat_map(|file| {
            let wrong = match serde_json::from_str(&file.text) {
                Ok(dashboard) => wrong_in(&dashboard),
                Err(error) => vec![format!("is no JSON: {error}, correct it")],
            };
            wrong.into_iter().map(|what| Finding::violation(&file.path, 1, what))
        })
        .collect()
}

/// Each query of a dashboard, with the title of its panel.
pub(crate) fn queries(dashboard: &Value) -> impl Iterator<Item = (&str, &str)> {
    panels(dashboard).flat_map(|panel| {
        let title = panel["title"].as_str().unwrap_or_default();
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.filter_map(move |target| Some((title, target["expr"].as_str()?)))
    })
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().into_iter().flatten()
}

fn wrong_in(dashboard: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let variables = dashboard["templating"]["list"].as_array().into_iter().flatten();
    let variables: BTreeSet<&str> = variables.filter_map(|variable| variable["name"].as_str()).collect();
    for name in VARIABLES.iter().filter(|name| !variables.contains(**name)) {
        wrong.push(format!("has no variable {name}, add it"));
    }
    let mut ids = BTreeSet::new();
    for panel in panels(dashboard) {
        let title = panel["title"].as_str().unwrap_or("without a title");
        if !ids.insert(panel["id"].as_u64()) {
            wrong.push(format!("panel {title:?} has the id of another, number it anew"));
        }
        let Some(targets) = panel["targets"].as_array() else { continue };
        if panel["fieldConfig"]["defaults"]["unit"].as_str().is_none() {
            wrong.push(format!("panel {title:?} has no unit, choose one"));
        }
        if panel["description"].as_str().is_none_or(str::is_empty) {
            wrong.push(format!("panel {title:?} has no description, say what it shows"));
        }
        if targets.iter().any(|target| target["datasource"]["uid"] != "${datasource}") {
            wrong.push(format!("panel {title:?} names a data source, use the variable"));
        }
    }
    for (title, query) in queries(dashboard) {
        let selectors = query.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        for selector in selectors {
            for label in LABELS.iter().filter(|label| !selector.contains(*label)) {
                wrong.push(format!("panel {title:?} selects {{{selector}}} without {label}, add it"));
            }
        }
        let ranges = query.split("rate(").skip(1).filter_map(|rest| rest.split(['[', ']']).nth(1));
        for range in ranges.filter(|range| *range != "$__rate_interval") {
            wrong.push(format!("panel {title:?} has a rate over {range}, use $__rate_interval"));
        }
    }
    wrong
}

const FOLDER: &str = "observability/dashboards/";
const VARIABLES: [&str; 3] = ["datasource", "job", "instance"];
const LABELS: [&str; 2] = ["job=~\"$job\"", "instance=~\"$instance\""];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dashboard(query: &str) -> Value {
        let target = json!({ "datasource": { "uid": "${datasource}" }, "expr": query });
        json!({
            "templating": { "list": [{ "name": "datasource" }, { "name": "job" }, { "name": "instance" }] },
            "panels": [
                { "id": 1, "type": "row", "title": "Row" },
                {
                    "id": 2, "title": "Panel", "description": "What", "targets": [target],
                    "fieldConfig": { "defaults": { "unit": "s" } },
                },
            ],
        })
    }

    #[test]
    fn a_dashboard_for_any_job_and_any_interval_passes() {
        let query = r#"sum(rate(a_total{job=~"$job", instance=~"$instance"}[$__rate_interval]))"#;
        assert_eq!(wrong_in(&dashboard(query)), [""; 0]);
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        let mut bad = dashboard(r#"rate(a_total{job="x", instance=~"$instance"}[5m])"#);
        bad["templating"]["list"] = json!([{ "name": "datasource" }, { "name": "instance" }]);
        bad["panels"][0]["id"] = json!(2);
        bad["panels"][1]["targets"][0]["datasource"]["uid"] = json!("abc");
        bad["panels"][1]["description"] = json!("");
        bad["panels"][1]["fieldConfig"] = json!({});
        let wrong = wrong_in(&bad).join("\n");
        for said in
            ["variable job", "id of another", "no unit", "no description", "data source", "job=~", "over 5m"]
        {
            assert!(wrong.contains(said), "{said} is not in\n{wrong}");
        }
    }
}
