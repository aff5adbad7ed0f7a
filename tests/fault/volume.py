# SPDX-License-Identifier: Apache-2.0
"""A small file system of a test's own, to be filled to the brim and emptied again."""
import os
import subprocess

import pytest


def _ran(*argv):
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True)


class Volume:
    """ext4 in a file, because it does what disks do (direct I/O, folders that are flushed); tmpfs where there is
    no loop device. The test is skipped, with the reason, where nothing can be mounted."""

    program = None

    def __init__(self, folder, size_mib):
        self.folder, self.image = folder, folder.with_suffix(".img")
        self.folder.mkdir(mode=0o711, parents=True)
        self.kind = self._mount_ext4(size_mib) or self._mount_tmpfs(size_mib)
        if self.kind is None:
            self.folder.rmdir()
            pytest.skip("mounting a file system is not possible here")
        os.chmod(self.folder, 0o711)

    def _mount_ext4(self, size_mib):
        with open(self.image, "wb") as f:
            f.truncate(size_mib << 20)
        if _ran("mkfs.ext4", "-q", "-F", "-m", 0, "-O", "^has_journal", self.image).returncode != 0:
            return None
        return "ext4" if _ran("mount", "-o", "loop", self.image, self.folder).returncode == 0 else None

    def _mount_tmpfs(self, size_mib):
        done = _ran("mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", self.folder)
        return "tmpfs" if done.returncode == 0 else None

    @property
    def ballast(self):
        return self.folder / "ballast"

    def free(self):
        st = os.statvfs(self.folder)
        return st.f_bavail * st.f_frsize

    def fill(self, leave_bytes=0):
        """Only so much is free afterwards."""
        self.ballast.touch()
        for step in (1 << 22, 1 << 16, 1 << 12):
            while self.free() >= leave_bytes + step:
                try:
                    with open(self.ballast, "ab") as f:
                        os.posix_fallocate(f.fileno(), f.tell(), step)
                except OSError:
                    break

    def empty(self):
        self.ballast.unlink(missing_ok=True)

    def stops_last(self, stage):
        stage.made.remove(self)
        stage.made.append(self)

    def stop(self):
        """After whatever lay on it has ended."""
        if self.kind is None:
            return
        if _ran("umount", self.folder).returncode != 0:
            _ran("umount", "-l", self.folder)
        self.kind = None
        self.image.unlink(missing_ok=True)


def on(stage, name, size_mib):
    """A volume of the stage's; call stops_last when all that lies on it has been made."""
    return stage._add(Volume(stage.folder / name, size_mib))
