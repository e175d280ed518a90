"""Configuration as checked data: files in, frozen values out, every fault with file, line and remedy."""

from config.check import check
from config.faults import Fault, Faults
from config.read import SEEDS, read
from config.texts import Texts
from config.units import Unit, Units
from config.values import Agency, Config, Service, Settings, StaffSeed

__all__ = [
    "SEEDS",
    "Agency",
    "Config",
    "Fault",
    "Faults",
    "Service",
    "Settings",
    "StaffSeed",
    "Texts",
    "Unit",
    "Units",
    "check",
    "read",
]
