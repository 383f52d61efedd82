//! Beside umoci: what it unpacks, and what our layers show through overlayfs, must be one tree. Layers are random, small, and unkind: names
//! meet as files, directories, links and whiteouts, over what the layers below have.

use crate::archive::{Archive, Member};
use crate::support::{Answer, Conversion, Folder, fold, inside, same_tree, sha256, shell};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A random layer is a function of its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn layer(random: &mut Random, model: &mut Model) -> Vec<u8> {
    let mut archive = Archive::default().member(Member::new(b'5', b"./").mode(0o755).time(1_000_000_000));
    model.own.clear();
    for step in 0..14 {
        let directories = model.directories();
        let directory = &directories[random.below(directories.len() as u64) as usize];
        let path = format!("{directory}{}", random.pick(&NAMES));
        archive = describe(archive, directory, &mut model.own);
        archive = match random.below(8) {
            0 | 1 => {
                model.set(&path, true);
                archive.member(
                    Member::new(b'5', path.as_bytes())
                        .mode(0o700 + random.below(64))
                        .time(1_100_000_000 + step),
                )
            }
            2..=4 => {
                model.set(&path, false);
                let file = Member::new(b'0', path.as_bytes())
                    .owner(random.below(3), 5)
                    .time(1_200_000_000 + step);
                archive.member(file.data(format!("{step}").as_bytes()))
            }
            5 => {
                model.set(&path, false);
                archive.member(
                    Member::new(b'2', path.as_bytes())
                        .mode(0o777)
                        .time(1_300_000_000)
                        .link(b"target"),
                )
            }
            6 if model.has(&path) && !model.has_own(&path) => {
                model.remove(&path);
                archive.file(&format!("{directory}.wh.{}", &path[directory.len()..]), "")
            }
            _ => match model.link_targets(&path).first() {
                Some(target) => {
                    model.link(&path, target);
                    archive.hardlink(&path, target)
                }
                None => archive,
            },
        };
    }
    archive.end()
}

/// Directories come with an entry of their own, as tools write layers: one that does not is completed from below, which other tests see to.
fn describe(mut archive: Archive, directory: &str, own: &mut Vec<String>) -> Archive {
    for (at, _) in directory.match_indices('/') {
        let parent = &directory[..=at];
        if !own.iter().any(|seen| seen == parent) {
            archive = archive.member(Member::new(b'5', parent.as_bytes()).mode(0o755).time(1_400_000_000));
            own.push(parent.into());
        }
    }
    archive
}

/// What a name is in the merged tree, as far as this test follows: enough to write no entry that umoci, or we, would refuse.
#[derive(Default)]
struct Model {
    /// Directories end with a slash.
    paths: BTreeSet<String>,
    own: Vec<String>,
    linked: BTreeSet<String>,
}

impl Model {
    fn directories(&self) -> Vec<String> {
        std::iter::once(String::new())
            .chain(self.paths.iter().filter(|path| path.ends_with('/')).cloned())
            .collect()
    }

    /// No file with a second name below: that name would stay another file, which is a difference that `docs/images.md` lists.
    fn link_targets(&self, from: &str) -> Vec<String> {
        let free = |target: &&String| self.own.contains(target) || !self.linked.contains(*target);
        let apart = |target: &&String| *target != from && !target.starts_with(&format!("{from}/")) && !target.ends_with('/');
        self.paths.iter().filter(apart).filter(free).cloned().collect()
    }

    fn has(&self, path: &str) -> bool {
        self.paths.contains(path) || self.paths.contains(&format!("{path}/"))
    }

    fn has_own(&self, path: &str) -> bool {
        self.own.iter().any(|own| own == path || own.starts_with(&format!("{path}/")))
    }

    fn set(&mut self, path: &str, directory: bool) {
        let named = if directory { format!("{path}/") } else { path.into() };
        if !(directory && self.paths.contains(&named)) {
            self.remove(path);
            self.paths.insert(named.clone());
        }
        self.own.push(named);
    }

    fn link(&mut self, path: &str, target: &str) {
        self.set(path, false);
        self.own.push(target.into());
        self.linked.extend([path.into(), target.into()]);
    }

    fn remove(&mut self, path: &str) {
        let inside = format!("{path}/");
        self.paths.retain(|other| other != path && !other.starts_with(&inside));
        self.linked.remove(path);
    }
}

fn image_layout(folder: &Path, layers: &[Vec<u8>]) {
    let write = |bytes: &[u8]| {
        let digest = sha256(bytes);
        fs::write(folder.join("blobs/sha256").join(&digest), bytes).unwrap();
        (format!("sha256:{digest}"), bytes.len())
    };
    fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
    let blobs: Vec<_> = layers.iter().map(|layer| write(layer)).collect();
    let diff_ids = blobs
        .iter()
        .map(|(digest, _)| format!("\"{digest}\""))
        .collect::<Vec<_>>()
        .join(",");
    let config =
        format!(r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{diff_ids}]}}}}"#);
    let (config, config_size) = write(config.as_bytes());
    let descriptors = blobs
        .iter()
        .map(|(digest, size)| {
            format!(r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{digest}","size":{size}}}"#)
        })
        .collect::<Vec<_>>()
        .join(",");
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{config_size}}},"layers":[{descriptors}]}}"#
    );
    let (manifest, manifest_size) = write(manifest.as_bytes());
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{manifest}","size":{manifest_size},"annotations":{{"org.opencontainers.image.ref.name":"t"}}}}]}}"#
    );
    fs::write(folder.join("index.json"), index).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// Each layer by itself, and over the ones before where it asks for them.
fn convert_all(layers: &[Vec<u8>], folder: &Folder) -> Vec<PathBuf> {
    let mut images: Vec<PathBuf> = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let image = folder.at(&format!("layer-{index}"));
        match Conversion::of(layer).run(&image) {
            Answer::Converted(_) => {}
            Answer::NeedsLowers(_) => over_lowers(layer, &image, &images, folder),
            other => panic!("layer {index}: {other:?}"),
        }
        images.push(image);
    }
    images
}

/// The lower tree is copied out, for the converter runs outside of the namespace with the mounts.
fn over_lowers(layer: &[u8], image: &Path, below: &[PathBuf], folder: &Folder) {
    let lower = folder.at("lower");
    let _ = fs::remove_dir_all(&lower);
    fs::create_dir(&lower).unwrap();
    let paths: Vec<&Path> = below.iter().map(PathBuf::as_path).collect();
    if !paths.is_empty() {
        inside(&paths, &format!("cp -a . '{}'", lower.display()));
    }
    assert!(matches!(Conversion::of(layer).over(&lower).run(image), Answer::Converted(_)));
}

fn compare(seed: u64) {
    let folder = Folder::new();
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut model = Model::default();
    let layers: Vec<Vec<u8>> = (0..3).map(|_| layer(&mut random, &mut model)).collect();
    image_layout(&folder.at("oci"), &layers);
    let expected = folder.at("expected");
    shell(&[
        "umoci",
        "raw",
        "unpack",
        "--image",
        &format!("{}:t", folder.at("oci").display()),
        expected.to_str().unwrap(),
    ]);
    let images = convert_all(&layers, &folder);
    let paths: Vec<&Path> = images.iter().map(PathBuf::as_path).collect();
    println!("seed {seed}");
    same_tree(&paths, &expected);
    let (all, two) = (folder.at("all"), folder.at("two"));
    assert!(matches!(fold(&paths, &all), Answer::Converted(_)));
    same_tree(&[&all], &expected);
    assert!(matches!(fold(&paths[..2], &two), Answer::Converted(_)));
    same_tree(&[&two, paths[2]], &expected);
}

#[test]
fn random_layers_show_what_umoci_unpacks() {
    (1..=60).for_each(compare);
}
