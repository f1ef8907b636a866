package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// The variables by which a pod of ours is told who it is; deploy/overlays sets them.
const (
	podNamespace = "STSBACKUP_POD_NAMESPACE"
	podName      = "STSBACKUP_POD_NAME"
)

// moverImage is the image that movers run: the one that was asked for; in a pod that knows who it is, that pod's own, so
// that there is one place to set it; else the one of this version.
func (f *moverFlags) moverImage(ctx context.Context, a *app) (string, error) {
	image := strings.TrimSpace(cmp.Or(f.image, a.getenv("STSBACKUP_IMAGE")))
	namespace, pod := a.getenv(podNamespace), a.getenv(podName)
	if image != "" {
		return image, nil
	}
	if namespace == "" || pod == "" {
		return "stsbackup:" + a.version, nil
	}
	client, _, err := cluster.Connect("", "")
	if err != nil {
		return "", err
	}
	if image, err = client.OwnImage(ctx, namespace, pod, podName); err != nil {
		return "", fmt.Errorf("find the image for movers: %w; give it with --image or STSBACKUP_IMAGE", err)
	}
	return image, nil
}
