fn main() -> std::process::ExitCode {
    caisson_launcher::run()
}
