package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/stsbackup/stsbackup/test/cluster/images"
	"github.com/stsbackup/stsbackup/test/cluster/stamp"
)

// loadedStamp names the stamp with the key of the product's image in the running cluster.
const loadedStamp = "product-loaded"

// LoadImage builds stsbackup's image and loads it into the running cluster.
func (h Harness) LoadImage(ctx context.Context) error {
	if err := needRoot(); err != nil {
		return err
	}
	lock, err := h.acquire(ctx, false)
	if err != nil {
		return err
	}
	defer lock.release()
	status, alive, err := h.state()
	if err != nil {
		return err
	}
	if !alive || !status.Ready {
		return errors.New("no cluster is up; make cluster-up starts one and loads the image")
	}
	product, err := h.loadProduct(ctx)
	if err != nil {
		return err
	}
	h.saySizes(product)
	return nil
}

// loadProduct builds the product's image and loads it into every node that does not have it.
func (h Harness) loadProduct(ctx context.Context) (images.Product, error) {
	product, err := h.images().Product(ctx, h.Repository, h.Version)
	if err != nil {
		return product, err
	}
	if stamp.Fresh(h.Spec.Run(), loadedStamp, product.Key) {
		return product, nil
	}
	for _, n := range h.Spec.Nodes {
		cmd := exec.CommandContext(ctx, "ctr", "--address", n.Runtime(), "--namespace", "k8s.io", "images", "import", product.Archive)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			return product, fmt.Errorf("load the image into %s: %w: %s", n.Name, err, strings.TrimSpace(out.String()))
		}
	}
	h.say("loaded %s", images.ProductImage)
	return product, stamp.Set(h.Spec.Run(), loadedStamp, product.Key)
}

// markLoaded remembers that the cluster was started with the product's image as it has just been built.
func (h Harness) markLoaded() error {
	key, err := os.ReadFile(h.images().ProductStamp())
	if err != nil {
		return err
	}
	return stamp.Set(h.Spec.Run(), loadedStamp, strings.TrimSpace(string(key)))
}

func (h Harness) saySizes(p images.Product) {
	const mebi = 1 << 20
	h.say("  %s: binary %.1f MiB, image %.1f MiB", images.ProductImage, float64(p.BinarySize)/mebi, float64(p.ImageSize)/mebi)
}
