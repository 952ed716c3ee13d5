import type { Metadata } from "next";

import { ProfilePage } from "@/features/identity/profile-page";

export const metadata: Metadata = { title: "Profile" };

export default function Profile() {
  return <ProfilePage />;
}
