package csidriver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// Serve serves the driver and registers it with the kubelet, until the context ends; it finishes running calls first.
func (d *Driver) Serve(ctx context.Context) error {
	socket := filepath.Join(d.KubeletDir, "plugins", d.Name, "csi.sock")
	registry := filepath.Join(d.KubeletDir, "plugins_registry", d.Name+"-reg.sock")

	services := grpc.NewServer(grpc.UnaryInterceptor(d.logged))
	csi.RegisterIdentityServer(services, d)
	csi.RegisterControllerServer(services, d)
	csi.RegisterGroupControllerServer(services, d)
	csi.RegisterNodeServer(services, d)
	registrar := grpc.NewServer()
	registration.RegisterRegistrationServer(registrar, &kubelet{driver: d, socket: socket})

	ended := make(chan error, 2)
	if err := serve(services, socket, ended); err != nil {
		return err
	}
	// Only now: the kubelet calls the driver as soon as it sees the other socket.
	if err := serve(registrar, registry, ended); err != nil {
		return err
	}
	d.Log("driver %s on node %s at %s, data in %s", d.Name, d.Node, socket, d.Data)
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		registrar.Stop() // removes its socket, so the kubelet notices
		services.GracefulStop()
		return nil
	}
}

func serve(server *grpc.Server, socket string, ended chan<- error) error {
	if err := os.MkdirAll(filepath.Dir(socket), 0o750); err != nil {
		return err
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	go func() { ended <- server.Serve(listener) }()
	return nil
}

// logged logs a call.
func (d *Driver) logged(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	response, err := handler(ctx, request)
	if err != nil {
		d.Log("%s failed: %v: %v", info.FullMethod, err, request)
	} else if d.Verbose {
		d.Log("%s: %v", info.FullMethod, request)
	}
	return response, err
}

// kubelet answers the kubelet, which finds our socket among those of its plugins and asks who we are.
type kubelet struct {
	registration.UnimplementedRegistrationServer
	driver *Driver
	socket string
}

// GetInfo says who we are and where.
func (k *kubelet) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type: registration.CSIPlugin, Name: k.driver.Name, Endpoint: k.socket, SupportedVersions: []string{"1.0.0"},
	}, nil
}

// NotifyRegistrationStatus hears whether the kubelet has accepted us.
func (k *kubelet) NotifyRegistrationStatus(
	_ context.Context, s *registration.RegistrationStatus,
) (*registration.RegistrationStatusResponse, error) {
	if !s.PluginRegistered {
		k.driver.Log("the kubelet refuses the driver: %s", s.Error)
		return nil, fmt.Errorf("the kubelet refuses the driver: %s", s.Error)
	}
	k.driver.Log("registered with the kubelet")
	return &registration.RegistrationStatusResponse{}, nil
}
