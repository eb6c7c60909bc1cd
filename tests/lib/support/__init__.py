"""What the end-to-end tests share: a project of their own, and a look at what it left behind."""

from support.leftovers import Leftovers
from support.needs import need
from support.project import HELPER, OWNER, ROOT, Project
from support.waiting import eventually

__all__ = ["HELPER", "OWNER", "ROOT", "Leftovers", "Project", "eventually", "need"]
