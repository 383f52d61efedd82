fn main() {
    caisson_seccomp::generate("seccomp.json");
    // The program has a start of its own (src/program).
    println!("cargo::rustc-link-arg-bins=-nostartfiles");
}
