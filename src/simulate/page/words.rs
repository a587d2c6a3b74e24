//! The page's sentences: what its numbers mean, and what to type to get them again.

use maud::{Markup, html};
use volet_federated::optimizer::Rule;

use crate::simulate::numbers::Target;
use crate::simulate::outcome::Outcome;
use crate::simulate::settings::{Choices, SettingsError};

/// One plain sentence for each number on the page.
pub(super) fn meanings(outcomes: &[Outcome], over_seeds: bool) -> Markup {
    let noisy = outcomes.iter().any(|outcome| outcome.run.settings.epsilon != Target::None);
    let malicious = outcomes.iter().any(|outcome| outcome.run.settings.malicious.get() > 0.0);
    let delta = outcomes.first().map_or(1e-6, |outcome| outcome.run.settings.delta.get());
    let epsilon = format!(
        "What a site that took part in all rounds has spent of its privacy; smaller is safer, and the promise fails with a \
         probability of at most {delta:e}."
    );
    let word = |name: &str, meaning: &str| html! { div { dt { (name) } dd { (meaning) } } };
    html! {
        dl.words {
            (word("Quality", "How good the model is at sites whose data nobody learned from; more is better, and 1 is perfect."))
            (word("Before, after, gain", "Quality of the model as it is shipped, quality after the last round, and the difference."))
            @if noisy {
                (word("Epsilon", &epsilon))
                (word("Gain kept", "The gain with noise in percent of the gain of the same run without noise; a little over 100 % is chance."))
            }
            (word("p5, p50, p95", "Quality that 5, 50 and 95 percent of the held-out sites do not reach: p5 stands for those who are worst off."))
            @if over_seeds {
                (word("95 % interval", "Where the mean gain lies, were there ever more seeds like these: by Student's t, with 95 percent confidence. Where it holds 0, a gain is not shown."))
            }
            @if malicious {
                (word("Malicious sites", "A share of all sites that teach the model to miss something, as strongly as the clip norm lets them."))
                (word("Blind spot", "Quality on just what malicious sites want the model to miss; where it stays up, they have failed."))
                (word("Combine", "How the sums of several shards become one update: their mean, as deployed, or a median or trimmed mean that outliers move less."))
            }
        }
    }
}

/// What to type to get the same numbers.
pub(super) fn command(choices: &Choices) -> Result<String, SettingsError> {
    let (keys, usual) = (choices.table()?, choices.by_default().table()?);
    let task =
        |(key, value): (&String, &toml::Value)| value.is_table() && key != "sweep" && usual.get(key) != Some(value);
    if choices.faces.is_some() || keys.iter().any(task) {
        return Ok("volet simulate --config settings.toml --out NEW".to_owned());
    }
    let mut words = vec!["volet".to_owned(), "simulate".to_owned()];
    for (key, value) in &keys {
        let always = ["sites", "rounds", "seed"].contains(&key.as_str())
            || (key == "optimizer" && choices.optimizer != Some(Rule::Average));
        match value {
            toml::Value::Table(axes) if key == "sweep" => {
                for (axis, values) in axes {
                    let values: Vec<String> = values.as_array().into_iter().flatten().map(plain).collect();
                    words.extend(["--sweep".to_owned(), quoted(&format!("{axis}={}", values.join(",")))]);
                }
            }
            value if always || usual.get(key) != Some(value) => {
                words.extend([format!("--{key}"), quoted(&plain(value))])
            }
            _ => {}
        }
    }
    words.extend(["--out".to_owned(), "NEW".to_owned()]);
    Ok(words.join(" "))
}

/// A value as it is typed.
pub(super) fn plain(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A word as a shell takes it for one.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=,./+:".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
