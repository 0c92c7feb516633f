"""What operators do: look after users, move them out and in, erase them."""

from memsvc.administration.erasing import ErasedNamespace as ErasedNamespace
from memsvc.administration.erasing import NamespaceEraser as NamespaceEraser
from memsvc.administration.exporting import Export as Export
from memsvc.administration.exporting import Exporter as Exporter
from memsvc.administration.importing import Importer as Importer
from memsvc.administration.importing import Outcome as Outcome
from memsvc.administration.operating import Administration as Administration
from memsvc.administration.operating import EraseCommand as EraseCommand
from memsvc.administration.operating import ErasedUser as ErasedUser
from memsvc.administration.operating import Stats as Stats
