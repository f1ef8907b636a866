package s3

import (
	"os/exec"
	"syscall"
)

// endWithTests makes the kernel end a server if its tests are killed and so cannot do it.
func endWithTests(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
