//! The real binary as the first process of real namespaces, spoken to as the worker does. Needs root, busybox-static and a built agent (scripts/build).
mod attacks;
mod binary;
mod figures;
mod host;
mod images;
mod narrow;
mod outcomes;
mod probe;
mod protocol;
mod sandbox;
mod streams;
