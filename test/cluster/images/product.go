package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/stsbackup/stsbackup/test/cluster/image"
	"github.com/stsbackup/stsbackup/test/cluster/stamp"
)

// ProductImage is the name of stsbackup's own image.
const ProductImage = "stsbackup:dev"

// What the Dockerfile makes of the image: its user, where the binary is, and how that is linked, before the version.
const (
	productUser  = "65532:65532"
	productPath  = "/stsbackup"
	productFlags = "-s -w -X main.version="
)

// authorities is where Debian and similar systems keep the certificates of public authorities.
const authorities = "/etc/ssl/certs/ca-certificates.crt"

// Product is the result of building stsbackup's own image.
type Product struct {
	// Archive is the file to load.
	Archive string
	// BinarySize and ImageSize are in bytes.
	BinarySize, ImageSize int64
	// Key changes with the image.
	Key string
}

// Product builds the static binary from the repository and the image that its Dockerfile would make of it.
func (b Builder) Product(ctx context.Context, repository, version string) (Product, error) {
	binary := b.Layout.Program("stsbackup")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", productFlags+version, "-o", binary, "./cmd/stsbackup")
	cmd.Dir = repository
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Stdout, cmd.Stderr = b.Out, b.Out
	if err := b.Run(ctx, cmd); err != nil {
		return Product{}, fmt.Errorf("build stsbackup: %w", err)
	}
	key, err := stamp.FileKey(binary)
	if err != nil {
		return Product{}, err
	}
	key = stamp.Key(recipe, key)
	err = b.archive(productArchive, key, func() (map[string]v1.Image, error) {
		built, err := image.Static(runtime.GOARCH, productPath, binary, productUser, func(t *image.Tree) error {
			// A machine without certificates cannot reach a public endpoint either.
			if err := t.Copy("etc/ssl/certs/ca-certificates.crt", 0o644, authorities); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		return map[string]v1.Image{ProductImage: built}, nil
	})
	if err != nil {
		return Product{}, err
	}
	product := Product{Archive: b.path(productArchive), Key: key}
	if product.BinarySize, err = size(binary); err != nil {
		return Product{}, err
	}
	product.ImageSize, err = size(product.Archive)
	return product, err
}

func size(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// ProductStamp is the file that holds the key of the product's image as last built.
func (b Builder) ProductStamp() string { return filepath.Join(b.Layout.Stamps(), productArchive) }
