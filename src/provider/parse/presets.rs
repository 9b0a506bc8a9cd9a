//! `[presets]`: which requests change nothing, and which delete nothing, where their methods don't say it all.

use super::Error;
use super::source::Table;
use crate::provider::preset::Presets;

const KEYS: &[&str] = &["none", "rpc", "graphql", "batch", "reads", "writes", "deletes"];

pub(super) fn read(root: &Table<'_>) -> Result<Presets, Error> {
    let Some(value) = root.get("presets") else { return Ok(Presets::default()) };
    let table = value.table(KEYS)?;
    let flag = |key| table.get(key).map_or(Ok(false), |value| value.boolean());
    let list = |key| table.get(key).map_or(Ok(Vec::new()), |value| value.list(|one| one.text()?.parse()));
    let presets = Presets {
        none: flag("none")?,
        rpc: flag("rpc")?,
        graphql: table.get("graphql").map_or(Ok(Vec::new()), |value| value.list(|one| one.text()?.parse()))?,
        batch: list("batch")?,
        reads: list("reads")?,
        writes: list("writes")?,
        deletes: list("deletes")?,
    };
    let said = Presets { none: true, ..Presets::default() };
    if presets.none && presets != said {
        return Err(value.refuse("with `none` there is no preset that the other keys could speak of"));
    }
    if presets.rpc && !presets.writes.is_empty() {
        return Err(value.refuse("with `rpc` only what `reads` lists is read, so `writes` says nothing"));
    }
    Ok(presets)
}
