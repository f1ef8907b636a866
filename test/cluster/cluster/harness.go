package cluster

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/stsbackup/stsbackup/test/cluster/cage"
	"github.com/stsbackup/stsbackup/test/cluster/holder"
	"github.com/stsbackup/stsbackup/test/cluster/images"
	"github.com/stsbackup/stsbackup/test/cluster/modules"
	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

// Harness does what the commands ask for.
type Harness struct {
	Spec spec.Cluster
	// Repository is the root of stsbackup's source, Version the version that its binary gets.
	Repository, Version string
	// Out gets a line for everything that happens.
	Out io.Writer
	Now func() time.Time
}

func (h Harness) modules() modules.Builder {
	return modules.Builder{
		Source: filepath.Join(h.Repository, "test", "cluster", "build"),
		Layout: h.Spec.Layout,
		Out:    h.Out,
		Run:    cage.Run,
		Now:    h.Now,
	}
}

func (h Harness) images() images.Builder {
	return images.Builder{Layout: h.Spec.Layout, Out: h.Out, Run: cage.Run, Now: h.Now}
}

// state reads the holder's status and whether it is alive. Without a status it is not.
func (h Harness) state() (holder.Status, bool, error) {
	status, err := holder.ReadStatus(h.Spec.Status())
	if errors.Is(err, fs.ErrNotExist) {
		return holder.Status{}, false, nil
	}
	if err != nil {
		return holder.Status{}, false, err
	}
	alive, err := status.Alive()
	return status, alive, err
}

// needRoot explains why only root can have the cluster.
func needRoot() error {
	if os.Geteuid() == 0 {
		return nil
	}
	return errors.New(
		"the test cluster needs root: it makes network, mount and PID namespaces, loop devices and cgroups (try: sudo -E make …)",
	)
}

func (h Harness) say(format string, args ...any) { fmt.Fprintf(h.Out, format+"\n", args...) }
