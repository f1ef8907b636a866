// Command reflink-csi serves the test cluster's CSI driver on one node.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/stsbackup/stsbackup/test/cluster/csidriver"
)

func main() {
	c := csidriver.Config{Log: log.Printf, Now: time.Now}
	flag.StringVar(&c.Name, "name", "reflink.csi.test", "the driver's name")
	flag.StringVar(&c.Node, "node", "", "the node's name")
	flag.StringVar(&c.Tag, "tag", "reflink", "what marks the loop devices")
	flag.StringVar(&c.Data, "data", "", "a folder on a file system with reflinks")
	flag.StringVar(&c.KubeletDir, "kubelet-dir", "/var/lib/kubelet", "the kubelet's root folder")
	flag.Int64Var(&c.MaxVolumes, "max-volumes", 0, "volumes that the node takes, 0 for no limit")
	flag.BoolVar(&c.Verbose, "verbose", false, "log every call")
	flag.Parse()
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	if err := run(c); err != nil {
		log.Print(err)
		os.Exit(1)
	}
}

func run(c csidriver.Config) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	driver, err := csidriver.New(c)
	if err != nil {
		return err
	}
	return driver.Serve(ctx)
}
