package images

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/stsbackup/stsbackup/test/cluster/config"
	"github.com/stsbackup/stsbackup/test/cluster/image"
	"github.com/stsbackup/stsbackup/test/cluster/manifest"
	"github.com/stsbackup/stsbackup/test/cluster/spec"
	"github.com/stsbackup/stsbackup/test/cluster/stamp"
)

// Archive names. The container runtime loads them in this order.
const (
	coreArchive      = "10-core"
	workloadsArchive = "20-workloads"
	productArchive   = "30-product"
)

// recipe is part of every key: it counts the changes to how images are put together.
const recipe = "1"

// busybox is where Debian's busybox-static puts its one file.
const busybox = "/usr/bin/busybox"

// Builder builds archives into a state folder.
type Builder struct {
	Layout spec.Layout
	// Out gets a line for what is built.
	Out io.Writer
	// Run runs a command to its end; it should not outlive us (package cage).
	Run func(context.Context, *exec.Cmd) error
	Now func() time.Time
}

func (b Builder) path(archive string) string {
	return filepath.Join(b.Layout.Images(), archive+".tar")
}

// Build builds the archives that are not up to date, except the product's.
func (b Builder) Build(ctx context.Context) error {
	pause, s3 := b.Layout.Program("pause"), b.Layout.Program("versitygw")
	key, err := stamp.FileKey(pause, s3)
	if err != nil {
		return fmt.Errorf("images: %w", err)
	}
	err = b.archive(coreArchive, stamp.Key(recipe, key), func() (map[string]v1.Image, error) {
		held, err := image.Static(runtime.GOARCH, "/pause", pause, "", nil)
		if err != nil {
			return nil, err
		}
		served, err := image.Static(runtime.GOARCH, "/versitygw", s3, "", func(t *image.Tree) error { t.Dir("tmp", 0o1777); return nil })
		if err != nil {
			return nil, err
		}
		return map[string]v1.Image{config.PauseImage: held, manifest.S3Image: served}, nil
	})
	if err != nil {
		return err
	}
	key, err = b.workloadsKey()
	if err != nil {
		return fmt.Errorf("images: %w", err)
	}
	return b.archive(workloadsArchive, key, func() (map[string]v1.Image, error) {
		debian := image.Debian{Dir: filepath.Join(b.Layout.Images(), "debian"), Run: b.Run}
		built, err := buildWorkloads(ctx, debian, runtime.GOARCH)
		if err != nil {
			return nil, err
		}
		box, err := image.Busybox(runtime.GOARCH, busybox)
		if err != nil {
			return nil, err
		}
		for _, name := range busyboxNames() {
			built[name] = box
		}
		return built, nil
	})
}

// workloadsKey is a hash of what decides the workloads' images: the distribution, the packages, and what is added to
// them.
func (b Builder) workloadsKey() (string, error) {
	files, err := stamp.FileKey(busybox, "/etc/os-release")
	if err != nil {
		return "", err
	}
	parts := []string{recipe, files, strings.Join(image.Base(), " "), nginxConfig}
	for _, w := range workloads() {
		parts = append(parts, strings.Join(w.names, " "), strings.Join(w.packages, " "), fmt.Sprint(w.config))
	}
	return stamp.Key(parts...), nil
}

// archive builds one archive unless it is up to date.
func (b Builder) archive(name, key string, images func() (map[string]v1.Image, error)) error {
	if stamp.Fresh(b.Layout.Stamps(), name, key, b.path(name)) {
		return nil
	}
	began := b.Now()
	if err := os.MkdirAll(b.Layout.Images(), 0o755); err != nil {
		return err
	}
	built, err := images()
	if err != nil {
		return fmt.Errorf("image archive %s: %w", name, err)
	}
	if err := image.Archive(b.path(name), built); err != nil {
		return fmt.Errorf("image archive %s: %w", name, err)
	}
	fmt.Fprintf(b.Out, "  built images %s in %s\n", name, b.Now().Sub(began).Round(100*time.Millisecond))
	return stamp.Set(b.Layout.Stamps(), name, key)
}
