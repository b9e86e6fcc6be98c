//! Short texts of /proc and /sys.

use std::fs;
use std::path::Path;

/// The text without the line end; `None` where it cannot be read.
pub(super) fn text(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// The number that the file holds.
pub(super) fn number(path: impl AsRef<Path>) -> Option<u64> {
    text(path)?.parse().ok()
}

/// Release of the running kernel, as `uname -r` prints it.
pub(super) fn kernel_release() -> String {
    text("/proc/sys/kernel/osrelease").unwrap_or_default()
}

/// The first two numbers of a release: (6, 12) of "6.12.1-amd64".
pub(super) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn releases_have_two_numbers() {
        assert_eq!(version("6.12.1-amd64"), Some((6, 12)));
        assert_eq!(version("5.4"), Some((5, 4)));
        assert_eq!(version("6.18-rc1"), Some((6, 18)));
        for odd in ["", "six", "6", "6.x", "-6.1"] {
            assert_eq!(version(odd), None, "{odd}");
        }
    }
}
