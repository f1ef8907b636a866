package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
)

// Layout names every path of a cluster's state folder.
type Layout struct {
	// Dir is the state folder, absolute.
	Dir string
}

// longestSocket is the longest part of a socket's path below the state folder; together with the folder it must fit
// into the 107 bytes of a unix socket address.
const (
	longestSocket = "/run/node-a/kubelet/plugins_registry/reflink.csi.test-reg.sock"
	socketMax     = 107
)

// NewLayout returns the layout of a state folder. It fails if sockets below the folder would have longer names than the
// kernel allows.
func NewLayout(dir string) (Layout, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Layout{}, fmt.Errorf("state folder: %w", err)
	}
	if n := len(dir) + len(longestSocket); n > socketMax {
		return Layout{}, fmt.Errorf(
			"state folder %s: its path is %d bytes too long for unix sockets; choose a shorter one with STSBACKUP_CLUSTER_DIR",
			dir,
			n-socketMax,
		)
	}
	return Layout{Dir: dir}, nil
}

// Name identifies the cluster on this machine: its cgroup root has this name, and its loop devices carry it.
func (l Layout) Name() string {
	sum := sha256.Sum256([]byte(l.Dir))
	return "stsbackup-" + hex.EncodeToString(sum[:4])
}

func (l Layout) path(elem ...string) string {
	return filepath.Join(append([]string{l.Dir}, elem...)...)
}

// Bin is the folder of the built programs. It outlives the cluster, as do Stamps, Images and CRDs.
func (l Layout) Bin() string { return l.path("bin") }

// Program is the path of one built program.
func (l Layout) Program(name string) string { return l.path("bin", name) }

// Stamps is the folder that remembers from what the built files were built.
func (l Layout) Stamps() string { return l.path("stamps") }

// Images is the folder of the image archives.
func (l Layout) Images() string { return l.path("images") }

// CRDs is the folder of the VolumeSnapshot resource definitions.
func (l Layout) CRDs() string { return l.path("crds") }

// Logs is the folder of the components' logs, kept when the cluster ends.
func (l Layout) Logs() string { return l.path("logs") }

// PreviousLogs is where the logs of the previous run stay.
func (l Layout) PreviousLogs() string { return l.path("logs.previous") }

// PodLogs is the folder of the pods' logs.
func (l Layout) PodLogs() string { return l.path("logs", "pods") }

// Run is the folder of everything that belongs to one life of the cluster and ends with it.
func (l Layout) Run() string { return l.path("run") }

// RunPath is a path below Run.
func (l Layout) RunPath(elem ...string) string {
	return l.path(append([]string{"run"}, elem...)...)
}

// Status is the file in which the holder writes who it is and how it is.
func (l Layout) Status() string { return l.path("run", "status.json") }

// Control is the socket on which the holder of a Ready cluster takes requests.
func (l Layout) Control() string { return l.path("run", "control.sock") }

// HostPath is a folder for static hostPath volumes: the same path on the host and inside.
func (l Layout) HostPath() string { return l.path("run", "hostpath") }

// Volumes is where the filesystem with reflinks is mounted, only inside the namespaces.
func (l Layout) Volumes() string { return l.path("run", "volumes") }

// Bucket is the folder in which the S3 server keeps a bucket.
func (l Layout) Bucket(name string) string { return l.path("run", "s3", name) }

// Kubeconfig is the host's kubeconfig.
func (l Layout) Kubeconfig() string { return l.path("kubeconfig") }

// Env is the file of variables that tests source.
func (l Layout) Env() string { return l.path("env") }

// Lock is the file that a change to the cluster locks, so that only one change happens at a time.
func (l Layout) Lock() string { return l.path("lock") }

// Ports remembers the loopback ports of the last run, which the next one takes again if they are free.
func (l Layout) Ports() string { return l.path("ports.json") }
