package csidriver

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stsbackup/stsbackup/test/cluster/csidriver/store"
)

// Config is what a driver needs to know when it starts.
type Config struct {
	// Name is the driver's name, Node the name of the node that it serves.
	Name, Node string
	// Tag marks its loop devices: the cluster's name.
	Tag string
	// Data is a folder on a filesystem with reflinks, KubeletDir the kubelet's root.
	Data, KubeletDir string
	// MaxVolumes is how many volumes the node takes, 0 for no limit.
	MaxVolumes int64
	// Log is called for every call that failed; with Verbose, for every call.
	Log     func(format string, args ...any)
	Verbose bool
	Now     func() time.Time
}

// Driver implements the CSI services.
type Driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedControllerServer
	csi.UnimplementedGroupControllerServer
	csi.UnimplementedNodeServer

	Config
	store *store.Store

	mu      sync.Mutex          // one change at a time
	devices map[string]*os.File // of staged block volumes; closing one detaches it
}

// New opens the driver's data.
func New(c Config) (*Driver, error) {
	s, err := store.Open(c.Data, c.Now)
	if err != nil {
		return nil, err
	}
	return &Driver{Config: c, store: s, devices: map[string]*os.File{}}, nil
}

// topology says where every volume of this driver is usable.
func (d *Driver) topology() *csi.Topology {
	return &csi.Topology{Segments: map[string]string{"topology." + d.Name + "/node": d.Node}}
}

// failed gives an error of the store its gRPC code.
func failed(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return status.Error(codes.NotFound, err.Error())
	}
	return status.Error(codes.Internal, err.Error())
}

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

// trouble delays or fails a call as its class's parameters ask.
func trouble(ctx context.Context, parameters map[string]string) error {
	if text := parameters["test/delay"]; text != "" {
		delay, err := time.ParseDuration(text)
		if err != nil {
			return invalid("test/delay: %v", err)
		}
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		case <-timer.C:
		}
	}
	if path := parameters["test/fail-while-file-exists"]; path != "" {
		if _, err := os.Stat(path); err == nil {
			return status.Errorf(codes.Internal, "asked to fail while %s exists", path)
		}
	}
	if text := parameters["test/fail"]; text != "" {
		return status.Error(codes.Internal, text)
	}
	return nil
}

// readyAfter is how long after its cut a snapshot becomes ready.
func readyAfter(parameters map[string]string) (time.Duration, error) {
	text := parameters["test/ready-after"]
	if text == "" {
		return 0, nil
	}
	delay, err := time.ParseDuration(text)
	if err != nil {
		return 0, invalid("test/ready-after: %v", err)
	}
	return delay, nil
}
