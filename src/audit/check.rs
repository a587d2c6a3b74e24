//! `volet audit --check`: is the report on a page one that a camera signed, and what does it say? Wants no camera. What else stands on a
//! page is signed by nobody, and is not believed.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde::Deserialize;
use volet_edge::agent::is_signed_report;
use volet_edge::egress::ledger::ascii;
use volet_federated::signing::VerifyingKey;

/// What is read of a report; later versions may say more.
#[derive(Deserialize)]
struct Told {
    at: u64,
    camera: String,
    claims: Vec<ToldClaim>,
}

#[derive(Deserialize)]
struct ToldClaim {
    claim: String,
    verdict: String,
    seen: String,
}

/// Checks a page and says what is signed on it.
///
/// # Errors
/// It is no such page, it was altered, or another camera than the one with `key` has signed it.
pub(super) fn run(page: &Path, key: Option<VerifyingKey>) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let report = signed(&text, key).with_context(|| format!("{}", page.display()))?;
    let told: Told = serde_json::from_str(&report).context("what was signed is no report of this version")?;
    println!("signed by the camera {}, at {}", ascii(&told.camera), super::page::utc(told.at));
    for ToldClaim { claim, verdict, seen } in &told.claims {
        println!("{:<13} {}\n              {}", ascii(verdict), ascii(claim), ascii(seen));
    }
    if key.is_none() {
        println!("that this is your camera's key is only the page's own word: give the key that you know (--key)");
    }
    Ok(ExitCode::SUCCESS)
}

/// The report on a page, if the camera that it names has signed it, and it is the one with this key.
fn signed(page: &str, key: Option<VerifyingKey>) -> anyhow::Result<String> {
    let report = unescaped(element(page, "report")?);
    let signature = element(page, "signature")?;
    let told: Told = serde_json::from_str(&report).context("what stands on it is no report of this version")?;
    let named = blake3::Hash::from_hex(&told.camera).ok().and_then(|key| VerifyingKey::from_bytes(key.as_bytes()));
    let named = named.context("the report names no camera's key")?;
    if key.is_some_and(|key| key.to_bytes() != named.to_bytes()) {
        anyhow::bail!("the report is of the camera {}, and not of the one whose key was given", ascii(&told.camera));
    }
    let signature = bytes(signature).context("the signature is none: the page was altered")?;
    let holds = is_signed_report(&named, report.as_bytes(), &signature);
    anyhow::ensure!(holds, "the report is not what the camera signed: it was altered, or somebody else signed it");
    Ok(report)
}

/// The text of the one `pre` with this name.
fn element<'a>(page: &'a str, id: &str) -> anyhow::Result<&'a str> {
    let mark = format!("<pre id=\"{id}\">");
    let mut parts = page.split(mark.as_str());
    let found = parts.nth(1).and_then(|rest| rest.split_once("</pre>"));
    let (text, _) = found.with_context(|| format!("it is no page of an audit: it has no {id}"))?;
    anyhow::ensure!(parts.next().is_none(), "the page has two parts called {id}: it was altered");
    Ok(text)
}

/// Text as it was before it stood on a page.
fn unescaped(text: &str) -> String {
    // The last one last: what it makes is no beginning of another.
    let marks = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")];
    marks.iter().fold(text.to_owned(), |text, (mark, is)| text.replace(mark, is))
}

/// 64 bytes of hexadecimal digits.
fn bytes(hex: &str) -> Option<[u8; 64]> {
    let digit = |at: usize| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let plain = hex.len() == 128 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes: Option<Vec<u8>> = if plain { (0..128).step_by(2).map(digit).collect() } else { None };
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_as_it_was_put_on_a_page() {
        for text in ["{\"a\": \"<b> & 'c'\"}", "&lt; &amp;lt; &quot;", "</pre><pre id=\"report\">"] {
            let page = maud::html! { pre #report { (text) } }.into_string();
            assert_eq!(unescaped(element(&page, "report").unwrap()), text);
        }
        let twice = maud::html! { pre #report { "a" } pre #report { "b" } }.into_string();
        assert!(element(&twice, "report").unwrap_err().to_string().contains("altered"));
        assert!(element(&twice, "signature").is_err());
        assert_eq!(bytes(&"0f".repeat(64)), Some([15; 64]));
        assert!(["", &"0f".repeat(63), &"+f".repeat(64), &"é".repeat(64)].iter().all(|hex| bytes(hex).is_none()));
    }
}
