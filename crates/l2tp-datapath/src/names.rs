//! Numbers for generated device names. The kernel looks at every device of the namespace to find the lowest free number
//! for a template, which makes thousands of sessions slow to set up; from some number on we keep count ourselves.

use std::io;

use l2tp_core::config::DEFAULT_IFNAME;

/// From so many devices on the search is ours: below, the kernel's answer costs less than making the device.
const KERNEL_SEARCHES_UP_TO: usize = 512;

/// What stands before the number in [`DEFAULT_IFNAME`].
const PREFIX: &str = "l2tpeth";

/// The lowest number that may be free, for the names that nobody chose.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    devices: usize,
    hint: u32,
}

impl Numbers {
    /// Makes a device for `template` by `create`, which is told a name, or the template itself.
    ///
    /// # Errors
    /// What `create` answers, but that a name is taken, which leads to the next number.
    pub(crate) fn create<T>(
        &mut self,
        template: &str,
        mut create: impl FnMut(&str) -> io::Result<T>,
    ) -> io::Result<T> {
        let device = if template == DEFAULT_IFNAME && self.devices >= KERNEL_SEARCHES_UP_TO {
            self.search(|number| create(&format!("{PREFIX}{number}")))
        } else {
            create(template)
        }?;
        self.devices += 1;
        Ok(device)
    }

    fn search<T>(&mut self, mut create: impl FnMut(u32) -> io::Result<T>) -> io::Result<T> {
        loop {
            let result = create(self.hint);
            self.hint = self.hint.checked_add(1).ok_or(io::ErrorKind::AlreadyExists)?;
            if !result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
                return result;
            }
        }
    }

    /// A device is gone: the number in its name may be free again.
    pub(crate) fn give_back(&mut self, name: &str) {
        self.devices = self.devices.saturating_sub(1);
        if let Some(number) = name.strip_prefix(PREFIX).and_then(|digits| digits.parse().ok()) {
            self.hint = self.hint.min(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    fn taken(names: &RefCell<BTreeSet<String>>, name: &str) -> io::Result<String> {
        let free = names.borrow_mut().insert(name.to_owned());
        free.then(|| name.to_owned()).ok_or_else(|| io::ErrorKind::AlreadyExists.into())
    }

    #[test]
    fn few_devices_are_the_kernels_to_number() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.create("l2tpeth%d", |name| Ok(name.to_owned())).unwrap(), "l2tpeth%d");
    }

    #[test]
    fn many_devices_get_the_lowest_number_that_was_given_back() {
        let mut numbers = Numbers { devices: KERNEL_SEARCHES_UP_TO, hint: 0 };
        let names = RefCell::new(BTreeSet::from(["l2tpeth1".to_owned()]));
        let next = |numbers: &mut Numbers| numbers.create("l2tpeth%d", |name| taken(&names, name)).unwrap();
        assert_eq!([0, 1, 2].map(|_| next(&mut numbers)), ["l2tpeth0", "l2tpeth2", "l2tpeth3"]);
        names.borrow_mut().remove("l2tpeth2");
        numbers.give_back("l2tpeth2");
        assert_eq!(next(&mut numbers), "l2tpeth2");
        assert_eq!(numbers.create("abc%d", |name| Ok(name.to_owned())).unwrap(), "abc%d");
        assert_eq!(numbers.create("pw", |name| Ok(name.to_owned())).unwrap(), "pw");
    }

    #[test]
    fn other_errors_end_the_search() {
        let mut numbers = Numbers { devices: KERNEL_SEARCHES_UP_TO, hint: 0 };
        let refused =
            numbers.create("l2tpeth%d", |_| io::Result::<()>::Err(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
