package db

import "testing"

func TestWhichNodesServe(t *testing.T) {
	galera := func(more ...string) nodeState {
		s := nodeState{"wsrep_on": "ON", "wsrep_provider": "/usr/lib/galera/libgalera_smm.so", "wsrep_cluster_status": "Primary", "wsrep_local_state": "4",
			"wsrep_local_state_comment": "Synced", "wsrep_ready": "ON", "wsrep_cluster_size": "3", "read_only": "OFF"}
		for i := 0; i < len(more); i += 2 {
			s[more[i]] = more[i+1]
		}
		return s
	}
	for _, c := range []struct {
		name  string
		state nodeState
		why   string
		kind  ErrorKind
	}{
		{"MySQL", nodeState{"read_only": "OFF", "super_read_only": "OFF"}, "", KindOther},
		{"MariaDB without Galera", nodeState{"read_only": "OFF", "wsrep_on": "OFF", "wsrep_provider": "none", "wsrep_cluster_status": "Disconnected", "wsrep_ready": "OFF"}, "", KindOther},
		{"a synced node", galera(), "", KindOther},
		{"a replica", nodeState{"read_only": "ON"}, "read_only is ON", KindReadOnly},
		{"a newer replica", nodeState{"read_only": "NO_LOCK_NO_ADMIN"}, "read_only is NO_LOCK_NO_ADMIN", KindReadOnly},
		{"a member of Group Replication that is not the primary", nodeState{"read_only": "OFF", "super_read_only": "ON"}, "super_read_only is ON", KindReadOnly},
		{"started read-only", nodeState{"innodb_read_only": "1"}, "innodb_read_only is 1", KindReadOnly},
		{"a read-only node", galera("read_only", "ON"), "read_only is ON", KindReadOnly},
		{"a donor", galera("wsrep_local_state", "2", "wsrep_local_state_comment", "Donor/Desynced"), "wsrep_local_state is 2 (Donor/Desynced)", KindLost},
		{"a node that has joined", galera("wsrep_local_state", "3", "wsrep_local_state_comment", "Joined"), "wsrep_local_state is 3 (Joined)", KindLost},
		{"a node without a quorum", galera("wsrep_cluster_status", "non-Primary"), "wsrep_cluster_status is non-Primary", KindLost},
		{"a node that is not ready", galera("wsrep_ready", "OFF"), "wsrep_ready is OFF", KindLost},
	} {
		switch err := c.state.serves(); {
		case err == nil && c.why != "":
			t.Errorf("%s serves", c.name)
		case err != nil && (err.Error() != c.why || Kind(err) != c.kind || !Waits(err)):
			t.Errorf("%s: %v of kind %d", c.name, err, Kind(err))
		}
	}
	if got := galera().String(); got != "Synced, Primary, 3 nodes" {
		t.Error(got)
	}
}
