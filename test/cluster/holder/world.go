package holder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// hidden are the host's folders in which components keep things at fixed paths: shim sockets and the iptables lock
// below /run, the CNI plugins' cache and the kubelet's device plugins below /var/lib, links to container logs below
// /var/log.
func hidden() []string { return []string{"/run", "/var/lib", "/var/log"} }

// makeWorld turns fresh namespaces into a place of their own: nobody outside sees what is mounted from here on.
func makeWorld(stateDir, hostname string) error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for _, dir := range hidden() {
		if err := hide(dir, stateDir); err != nil {
			return fmt.Errorf("hide the host's %s: %w", dir, err)
		}
	}
	// Shared inside: the kubelet and the CSI driver pass mounts on to containers.
	if err := unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("share mounts: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	return nil
}

// hide puts an empty folder over dir, but keeps one folder below it reachable at its path.
func hide(dir, keep string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var kept int
	below := strings.HasPrefix(keep, dir+"/")
	if below {
		fd, err := unix.Open(keep, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }()
		kept = fd
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return err
	}
	if !below {
		return nil
	}
	if err := os.MkdirAll(keep, 0o755); err != nil {
		return err
	}
	return unix.Mount(filepath.Join("/proc/self/fd", fmt.Sprint(kept)), keep, "", unix.MS_BIND|unix.MS_REC, "")
}
