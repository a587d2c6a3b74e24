//! A limit of memory that the kernel keeps, and a film that takes some. Needs root and a folder of control groups that can be written to.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;
pub(crate) const FRAMES: usize = 90;
/// A control group of its own; gone when dropped.
pub(crate) struct Group {
    folder: PathBuf,
    limit: &'static str,
    peak: &'static str,
}

impl Group {
    pub(crate) fn new(bytes: u64) -> Option<Self> {
        let name = format!("volet-test-{}-{bytes}", std::process::id());
        let old = Path::new("/sys/fs/cgroup/memory");
        let (folder, files) = if old.is_dir() {
            (old.join(name), ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max_usage_in_bytes"])
        } else {
            (Path::new("/sys/fs/cgroup").join(name), ["memory.max", "memory.swap.max", "memory.peak"])
        };
        if let Err(error) = std::fs::create_dir(&folder) {
            println!("skipped: no control group can be made: {error}");
            return None;
        }
        let group = Self { folder, limit: files[0], peak: files[2] };
        if let Err(error) = group.write(group.limit, bytes) {
            println!("skipped: memory cannot be limited: {error}");
            return None;
        }
        // Not every kernel counts swap.
        let _ = group.write(files[1], if files[1].contains("memsw") { bytes } else { 0 });
        Some(group)
    }

    fn write(&self, file: &str, value: u64) -> std::io::Result<()> {
        std::fs::write(self.folder.join(file), value.to_string())
    }

    /// The most that was in use, files that the kernel keeps at hand included.
    pub(crate) fn peak(&self) -> String {
        std::fs::read_to_string(self.folder.join(self.peak)).map_or_else(|e| e.to_string(), |s| s.trim().to_owned())
    }

    /// The camera's program in this group, to be given arguments.
    pub(crate) fn program(&self) -> Command {
        let script = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.folder.display());
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_volet-edge")]);
        command
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.folder);
    }
}

/// Noise that moves: nothing of it compresses well.
pub(crate) fn film(path: &Path) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    writeln!(file, "YUV4MPEG2 W{WIDTH} H{HEIGHT} F15:1 Ip A1:1 C420jpeg").unwrap();
    let mut state = 1u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let shades: Vec<u8> = (0..4 * WIDTH * HEIGHT).map(|_| noise()).collect();
    for frame in 0..FRAMES {
        file.write_all(b"FRAME\n").unwrap();
        file.write_all(&shades[frame * 7919..][..WIDTH * HEIGHT * 3 / 2]).unwrap();
    }
    file.into_inner().unwrap().sync_all().unwrap();
}
