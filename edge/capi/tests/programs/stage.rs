//! The library, installed in a folder of its own, and C programs that are built and run against it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A prefix with the library, its header and its pkg-config file.
pub(crate) struct Stage(tempfile::TempDir);

impl Stage {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let built = folder.path().join("built");
        std::fs::create_dir(&built).unwrap();
        std::fs::copy(built_library(), built.join("libvolet_camera.so")).unwrap();
        let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("install");
        succeeds(Command::new("sh").arg(install).arg(&built).arg(folder.path()).env_remove("DESTDIR"));
        Self(folder)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// The library's names for the loader, without versions; `None`, and said, where nobody can tell.
    pub(crate) fn names(&self, which: &str) -> Option<Vec<String>> {
        let library = self.folder().join("lib/libvolet_camera.so");
        let Ok(done) = Command::new("nm").args(["-D", "--format=just-symbols", which]).arg(library).output() else {
            println!("skipped  names: nm is not installed");
            return None;
        };
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let plain = |name: &str| name.split('@').next().unwrap_or(name).to_owned();
        Some(String::from_utf8(done.stdout).unwrap().lines().map(plain).collect())
    }

    /// Builds a program; `None`, and said, where there is no compiler.
    pub(crate) fn compile(&self, source: &str, flags: &[&str]) -> Option<PathBuf> {
        let program = self.folder().join(format!("program-{}", flags.len()));
        let mut cc = Command::new("cc");
        cc.args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g", "-O1", "-o"]).arg(&program).args(flags);
        cc.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(source)).args(self.flags()).arg("-pthread");
        cc.arg(format!("-Wl,-rpath,{}", self.folder().join("lib").display()));
        if Command::new("cc").arg("--version").output().is_err() {
            println!("skipped  {source}: cc is not installed");
            return None;
        }
        succeeds(&mut cc);
        Some(program)
    }

    /// The same, where the compiler and this machine know these flags.
    pub(crate) fn compile_if_supported(&self, source: &str, flags: &[&str]) -> Option<PathBuf> {
        let trial = self.folder().join("trial");
        let code = trial.with_extension("c");
        std::fs::write(&code, "int main(void) { return 0; }\n").unwrap();
        let compiled = Command::new("cc").args(flags).arg("-o").arg(&trial).arg(code).output();
        let runs = || Command::new(&trial).output().is_ok_and(|done| done.status.success());
        if !compiled.is_ok_and(|done| done.status.success()) || !runs() {
            println!("skipped  {source} with {flags:?}: cc does not have it here");
            return None;
        }
        self.compile(source, flags)
    }

    /// What pkg-config says, or where it is missing, what it would say.
    fn flags(&self) -> Vec<String> {
        let mut ask = Command::new("pkg-config");
        ask.args(["--cflags", "--libs", "volet"]).env("PKG_CONFIG_PATH", self.folder().join("lib/pkgconfig"));
        match ask.output() {
            Ok(said) => {
                assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
                String::from_utf8(said.stdout).unwrap().split_whitespace().map(str::to_owned).collect()
            }
            Err(_) => {
                println!("skipped  volet.pc: pkg-config is not installed");
                let prefix = self.folder().display();
                vec![format!("-I{prefix}/include"), format!("-L{prefix}/lib"), "-lvolet_camera".to_owned()]
            }
        }
    }

    pub(crate) fn run(&self, program: &Path) -> Command {
        Command::new(program)
    }

    /// The same under valgrind; `None`, and said, where it is not installed.
    pub(crate) fn valgrind(&self, program: &Path) -> Option<Command> {
        if Command::new("valgrind").arg("--version").output().is_err() {
            println!("skipped  valgrind: not installed");
            return None;
        }
        let mut valgrind = Command::new("valgrind");
        // Threads that end with the process count as possible leaks.
        valgrind.args([
            "--quiet",
            "--error-exitcode=9",
            "--leak-check=full",
            "--errors-for-leak-kinds=definite,indirect",
        ]);
        valgrind.arg("--show-leak-kinds=definite,indirect").arg(program);
        Some(valgrind)
    }
}

/// Where cargo puts it: beside this test, or a folder above.
fn built_library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let found = test.ancestors().skip(1).take(2).map(|folder| folder.join("libvolet_camera.so")).find(|so| so.exists());
    found.expect("libvolet_camera.so was not built")
}

pub(crate) fn succeeds(command: &mut Command) {
    let done = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?}: {}\n{said}", done.status);
}
