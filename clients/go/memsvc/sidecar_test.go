package memsvc_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/memsvc/memsvc/clients/go/memsvc"
)

// address is where the sidecar of these tests listens; empty: there is none, and what needs it is skipped.
var address string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(withSidecar(m.Run))
}

// withSidecar runs tests beside a real server: the one that MEMSVC_BIN names, else that of the checkout.
func withSidecar(run func() int) int {
	if _, err := os.Stat(binary()); err != nil {
		if os.Getenv("CI") != "" {
			fmt.Println("no memsvc to test against:", err)
			return 1
		}
		fmt.Println("no memsvc to test against: what needs it is skipped:", err)
		flag.Set("test.skip", "^Example")
		return run()
	}
	folder, err := os.MkdirTemp("", "memsvc")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	address = "unix://" + filepath.Join(folder, "memsvc.sock")
	stop, err := startSidecar(folder, "--listen", address)
	if err != nil {
		fmt.Println("memsvc serve did not start:", err)
		return 1
	}
	code := run()
	if err := stop(); err != nil {
		fmt.Println("memsvc serve ended badly:", err)
		return 1
	}
	return code
}

// binary is the program of the server.
func binary() string {
	if named := os.Getenv("MEMSVC_BIN"); named != "" {
		return named
	}
	own, _ := filepath.Abs("../../../.venv/bin/memsvc")
	return own
}

// startSidecar starts a server, whose addresses are in the file "ready" of the folder then, and returns what ends it, and fails
// where it does not end well. It ends with this process, too, however that ends: it exits when nobody holds the lock.
func startSidecar(folder string, flags ...string) (stop func() error, err error) {
	lock, err := os.Create(filepath.Join(folder, "lock"))
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_SH); err != nil {
		return nil, err
	}
	ready := filepath.Join(folder, "ready")
	server := exec.Command(binary(), append([]string{"serve",
		"--storage-url", "sqlite:///" + filepath.Join(folder, "memsvc.db"), "--ready-file", ready,
		"--exit-when-unlocked", lock.Name(), "--quiet-seconds", "0", "--engine", "rules", "--log-level", "warning",
	}, flags...)...)
	for _, each := range os.Environ() {
		if !strings.HasPrefix(each, "MEMSVC_") {
			server.Env = append(server.Env, each)
		}
	}
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	stop = func() error {
		server.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(30*time.Second, func() { server.Process.Kill() })
		defer late.Stop()
		defer lock.Close()
		return <-ended
	}
	for {
		if _, err := os.Stat(ready); err == nil {
			return stop, nil
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("it ended: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// connected returns a client of the sidecar.
func connected(t *testing.T, options ...memsvc.Option) *memsvc.Client {
	t.Helper()
	if address == "" {
		t.Skip("no memsvc to test against")
	}
	client, err := memsvc.New(address, append([]memsvc.Option{memsvc.WithTimeout(time.Minute)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}
