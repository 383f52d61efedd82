fn main() -> std::process::ExitCode {
    caisson_agent::run()
}
