use std::process::ExitCode;

fn main() -> ExitCode {
    match caisson_converter::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("caisson-converter: {message}");
            ExitCode::FAILURE
        }
    }
}
