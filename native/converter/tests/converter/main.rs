//! The real program on real and on hostile layers; what it makes is read by the kernel. As root, for the mounts (in namespaces of their own).

mod archive;
mod differential;
mod fold;
mod headers;
mod hostile;
mod layers;
mod limits;
mod lowers;
mod rules;
mod support;
