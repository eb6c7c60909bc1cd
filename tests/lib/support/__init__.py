"""What the end-to-end tests share: a project of their own, and a look at what it left behind."""

from support.leftovers import Leftovers
from support.needs import need
from support.project import HELPER, OVER, OWNER, PLAIN, ROOT, Project
from support.upstream import Upstream
from support.waiting import eventually

__all__ = ["HELPER", "OVER", "OWNER", "PLAIN", "ROOT", "Leftovers", "Project", "Upstream", "eventually", "need"]
