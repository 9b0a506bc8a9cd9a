//! What a log that holds does not prove.

use super::Verified;

impl Verified {
    /// What nobody can tell from what was looked at, each with what would prove it. `held` says that it was held against a head that was
    /// noted elsewhere.
    pub fn unproven(&self, held: bool) -> Vec<String> {
        let mut unproven = Vec::new();
        match &self.signed {
            None if self.lines > 0 => {
                unproven
                    .push("that the whole log was not made anew: no head in it is signed by the key of this home".to_owned());
            }
            Some(signed) if signed.after > 0 => {
                let after = signed.after;
                unproven.push(format!("that the last {after} lines were not made anew: no head was signed after them yet"));
            }
            _ => {}
        }
        if self.given_up == Some(false) {
            let missing = self.first.saturating_sub(1);
            unproven.push(format!(
                "that lines 1 to {missing} were given up by the log itself and not removed: give the key that `nexus audit key` prints"
            ));
        }
        if !held {
            unproven.push(
                "that nothing was cut off the end: note the head on another machine and give it to a later `nexus audit verify --head`"
                    .to_owned(),
            );
        }
        if self.waiting > 0 {
            unproven.push(format!("the {} bytes of spools that wait to be chained", self.waiting));
        }
        unproven
    }
}
