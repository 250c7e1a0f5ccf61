package broker

import "testing"

// A server's id is what the server itself makes of its name.
func TestPeerID(t *testing.T) {
	b, err := Start(t.Context(), Config{Name: "n1", DontListen: true, StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Stop()
	if id := peerID("n1"); id != b.server.Node() {
		t.Errorf("%s, not %s", id, b.server.Node())
	}
}
