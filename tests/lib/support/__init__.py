"""What the end-to-end tests share: a project of their own, and a look at what it left behind."""

from support.leftovers import Leftovers
from support.needs import need
from support.project import HELPER, OVER, OWNER, PLAIN, ROOT, Project
from support.remote import SYNCED, network, own_remote, sync_server
from support.scale import chance, scaled
from support.sound import findings
from support.trees import assert_same, seen
from support.upstream import Upstream
from support.waiting import eventually

__all__ = [
    "HELPER",
    "OVER",
    "OWNER",
    "PLAIN",
    "ROOT",
    "SYNCED",
    "Leftovers",
    "Project",
    "Upstream",
    "assert_same",
    "chance",
    "eventually",
    "findings",
    "need",
    "network",
    "own_remote",
    "scaled",
    "seen",
    "sync_server",
]
