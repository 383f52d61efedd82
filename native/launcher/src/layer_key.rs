//! The names of the store's files.
use crate::digest;

/// `sha256-`, `chain-` or `fold-<64 hex>`: nothing else names a file of the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerKey(String);

/// A layer by itself, by its DiffID; completed from those below, and all of a chain in one, by the ChainID.
const FORMS: [&str; 3] = ["sha256-", "chain-", "fold-"];

impl LayerKey {
    pub fn parse(text: &str) -> Option<Self> {
        let hex = FORMS.into_iter().find_map(|form| text.strip_prefix(form))?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (hex.len() == 64 && hex.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }

    pub fn of_diff_id(digest: &str) -> Option<Self> {
        Self::parse(&format!("sha256-{}", digest.strip_prefix("sha256:")?))
    }

    pub fn of_chain_id(digest: &str) -> Option<Self> {
        Self::parse(&format!("chain-{}", digest.strip_prefix("sha256:")?))
    }

    /// Of a chain of layers, oldest first, which their keys spell out.
    pub fn of_fold(layers: &[Self]) -> Option<Self> {
        let mut chain = layers.first()?.hex().to_owned();
        for layer in &layers[1..] {
            chain = match layer.0.strip_prefix(FORMS[0]) {
                Some(diff_id) => digest::text(&digest::of(format!("sha256:{chain} sha256:{diff_id}").as_bytes())),
                None if layer.is_fold() => return None,
                None => layer.hex().to_owned(),
            };
        }
        Some(Self(format!("{}{chain}", FORMS[2])))
    }

    fn is_fold(&self) -> bool {
        self.0.starts_with(FORMS[2])
    }

    fn hex(&self) -> &str {
        self.0.split_once('-').map_or("", |(_, hex)| hex)
    }

    pub fn file_name(&self) -> String {
        format!("{}.sqfs", self.0)
    }

    pub fn of_file_name(name: &str) -> Option<Self> {
        Self::parse(name.strip_suffix(".sqfs")?)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::LayerKey;

    #[test]
    fn a_fold_is_named_by_its_chain() {
        let key = |form: &str, letter: &str| LayerKey::parse(&format!("{form}-{}", letter.repeat(64))).expect("a key");
        let (a, b) = (key("sha256", "a"), key("sha256", "b"));
        let both = LayerKey::of_fold(&[a.clone(), b.clone()]).expect("a chain");
        // printf 'sha256:aa… sha256:bb…' | sha256sum
        assert_eq!(
            both.as_str(),
            "fold-ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c"
        );
        let c = key("sha256", "c");
        let three = LayerKey::of_fold(&[a.clone(), b, c.clone()]);
        assert_eq!(three, LayerKey::of_fold(&[both.clone(), c.clone()]));
        assert_eq!(LayerKey::of_fold(&[a.clone(), key("chain", "d")]), Some(key("fold", "d")));
        assert_eq!(LayerKey::of_fold(&[a, both, c]), None);
        assert_eq!(LayerKey::of_fold(&[]), None);
    }

    #[test]
    fn takes_only_keys_of_the_store() {
        let hex = "0123456789abcdef".repeat(4);
        assert!(LayerKey::parse(&format!("sha256-{hex}")).is_some());
        assert!(LayerKey::parse(&format!("chain-{hex}")).is_some());
        assert!(LayerKey::parse(&format!("fold-{hex}")).is_some());
        for bad in [
            format!("sha256:{hex}"),
            format!("sha512-{hex}"),
            format!("sha256-{hex}0"),
            format!("sha256-../{}", &hex[3..]),
            hex.to_uppercase(),
        ] {
            assert!(LayerKey::parse(&bad).is_none(), "{bad}");
        }
    }
}
